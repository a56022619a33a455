"""Serve the production student over HTTP, on a GPU when there is one."""

from entrypoints.flags import config_flags, config_from, parse_flags
from serving.config import ServiceConfig
from serving.server import check_port, serve
from tomodistill.tracking.runs import phase_run, take_over_run

FLAGS = config_flags(ServiceConfig)


def main(arguments: list[str]) -> None:
    """The entry point; returns when the service is told to stop."""
    config = config_from(ServiceConfig, parse_flags(__doc__, FLAGS, arguments, ServiceConfig))
    run_id = take_over_run()
    check_port(config)
    if run_id:
        # Closed at once: a service may be killed years later, and no run may stay RUNNING for ever.
        with phase_run("serve", name=f"serve {config.model}", run_id=run_id):
            pass
    serve(config)
