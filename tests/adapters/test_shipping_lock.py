import subprocess
import sys

from gateway.adapters.shipping_lock import ShippingLock


def test_one_has_it_at_a_time(tmp_path) -> None:
    first, second = ShippingLock(tmp_path / "journal"), ShippingLock(tmp_path / "journal")
    assert first.take()
    assert not second.take()
    first.release()
    first.release()
    assert second.take()
    second.release()


def test_the_death_of_a_process_gives_it_back(tmp_path) -> None:
    program = (
        "import pathlib, sys; from gateway.adapters.shipping_lock import ShippingLock; "
        "print(ShippingLock(pathlib.Path(sys.argv[1])).take(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "True\n"
        mine = ShippingLock(tmp_path)
        assert not mine.take()
        holder.kill()
        holder.wait()
        assert mine.take()
        mine.release()
