"""Goes to ~/.jupyter. Without this cookie the server refuses a closing page's farewell: each reload leaks a kernel."""


def _set_xsrf_cookie(handler, notebook=None, cwd=None):
    _ = handler.xsrf_token  # reading it makes tornado set the cookie


c = get_config()  # noqa: F821  Jupyter brings it
c.VoilaConfiguration.prelaunch_hook = _set_xsrf_cookie
