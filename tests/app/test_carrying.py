import asyncio

import pytest

from gateway.app.carrying import Carrying
from gateway.core.errors import StoreUnavailable
from gateway.ports import Stretch


def test_a_store_that_cannot_be_opened_leaves_the_stretch_to_be_carried_again(tmp_path) -> None:
    async def carry() -> None:
        (tmp_path / "gateway.db").write_bytes(b"no database at all" * 100)
        carrying = Carrying(f"sqlite:///{tmp_path}/gateway.db")
        stretch = Stretch("w", 0, 0, 1, {}, [])
        with pytest.raises(StoreUnavailable):
            await carrying.carry(stretch)
        (tmp_path / "gateway.db").unlink()
        assert await carrying.carry(stretch) == 0
        assert carrying.noted() == {"errands": 0, "errands_unreadable": 0}
        await carrying.close()

    asyncio.run(carry())
