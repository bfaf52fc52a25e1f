"""From settings to where files of evidence are kept."""

from gateway.adapters.evidence_cipher import read_master_keys
from gateway.adapters.evidence_files import EvidenceStore
from gateway.adapters.evidence_places import Place, place_of
from gateway.app.sinks import credentials_in
from gateway.config import Settings
from gateway.core.errors import ConfigError


def evidence_of(settings: Settings) -> EvidenceStore | None:
    """Return what takes files of evidence and gives them back; None where none are taken. Raise ConfigError."""
    told, place = settings.evidence, files_of(settings)
    if told is None or place is None:
        return None
    try:
        return EvidenceStore(place, read_master_keys(told.key_file), most_bytes=told.largest_file)
    except ConfigError as fault:
        raise ConfigError(f"[evidence] {fault}") from None


def files_of(settings: Settings) -> Place | None:
    """Return where files of evidence lie, encrypted; None where none are taken. Raise ConfigError."""
    told = settings.evidence
    if told is None:
        return None
    try:
        return place_of(told.where, options={**told.options, **credentials_in(told.credentials_file)})
    except ConfigError as fault:
        raise ConfigError(f"[evidence] {fault}") from None
