"""Failures that are nobody's mistake, in a sentence: what to wait for or to mend before going on."""

from spaces.errors import UnavailableError


def passing_reason(error: Exception) -> str:
    """Why something failed that can continue once that is over.

    Args:
        error: what was raised.

    Returns:
        The reason without a full stop; "" for a mistake of Candor's own.
    """
    from search.study.retry import BrokenStudy, passing  # late: it imports Optuna

    if isinstance(error, BrokenStudy | UnavailableError):
        return str(error)
    if type(error).__name__ == "MlflowException" and "API request" in str(error):
        return "the MLflow server does not answer; see that it runs, and that --tracking-uri is its address"
    return passing(error)
