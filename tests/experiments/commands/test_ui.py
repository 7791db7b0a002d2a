"""The MLflow UI answers to the names of this machine alone."""

import pytest
from mlflow.server.security_utils import is_allowed_host_header

from experiments.commands.workspace.ui import allowed_hosts
from spaces.errors import UserError

pytestmark = pytest.mark.slow  # imports MLflow's server

FOREIGN = (
    "10.evil.example", "10.evil.example:5000", "192.168.1.1.evil.example:5000", "172.16.evil.example",
    "evil.example", "localhost.evil.example:5000", "localhost:5001", "127.0.0.1", "", "*",
)  # fmt: skip


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "::"])
def test_foreign_names_are_refused(host: str) -> None:
    allowed = allowed_hosts(host, 5000)
    assert [name for name in FOREIGN if is_allowed_host_header(allowed, name)] == []
    for own in ("localhost:5000", "127.0.0.1:5000", "[::1]:5000"):
        assert is_allowed_host_header(allowed, own)


def test_a_further_name_is_taken_as_it_is() -> None:
    assert is_allowed_host_header(allowed_hosts("0.0.0.0", 80, ["gpu.lab.example"]), "gpu.lab.example:80")
    for pattern in ("*", "*.example", "a,b"):
        with pytest.raises(UserError, match="--allow-host takes the name or address"):
            allowed_hosts("0.0.0.0", 80, [pattern])
