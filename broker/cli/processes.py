"""Commands that are a process of the broker: gate, control, console."""


def gate() -> None:
    """Run a gate worker: the Faust app that judges changes."""
    import faust

    from broker.app import make_app
    from broker.settings import Settings

    app = make_app(Settings())
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
