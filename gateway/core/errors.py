"""Every exception that the gateway raises on purpose. Refusals are values; these are faults."""


class GatewayError(Exception):
    """A fault that somebody must mend. The message says what, where, and what was probably meant."""


class ConfigError(GatewayError):
    """The configuration cannot work; the gateway does not start."""


class PolicyError(GatewayError):
    """A policy does not check, or its tests fail; the bundle is not loaded."""


class EditionError(GatewayError):
    """A GeoIP database cannot be used; the running one stays."""


class StoreUnavailable(GatewayError):
    """The store did not answer in time, or said no. The facts it owes are Unknown."""


class JournalUnavailable(GatewayError):
    """A decision could not be recorded."""


class ReplayError(GatewayError):
    """A decision cannot be re-decided: what it needs is not at hand."""


class SearchError(GatewayError):
    """What was asked of the recorded decisions cannot be asked."""


class MaskingError(GatewayError):
    """What is masked cannot be shown: no reason was given, or it was given for another decision."""
