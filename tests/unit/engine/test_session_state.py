"""What is known of a session, and who is told."""

from dataclasses import replace

from run_qarnot.core.messages import Message
from run_qarnot.core.state import State
from run_qarnot.engine.session_state import ViewPublisher
from run_qarnot.model.view import SessionView

SAVING, STOPPING, TIMEOUT, REFUSED = map(Message, ("saving-files", "stopping", "timeout", "refused"))
AT_WORK = Message("working", app="it")
VIEW = SessionView("id", "n", "base", "jupyterlab", "JupyterLab", State.READY, 1)


def test_what_is_being_done_and_what_is_in_the_way_do_not_wipe_each_other_out() -> None:
    news = ViewPublisher(VIEW, lambda *_: None)
    news.tell_trouble(TIMEOUT)
    with news.doing(SAVING) as tell:
        assert news.view.note is SAVING
        news.tell_trouble(None)
        assert news.view.note is SAVING
        news.tell_trouble(REFUSED)
        tell(STOPPING)
        assert news.view.note is STOPPING
    assert news.view.note is REFUSED
    news.tell_trouble(None)
    assert news.view.note is None


def test_how_it_usually_is_comes_with_the_state_and_goes_with_it() -> None:
    heard = []
    news = ViewPublisher(replace(VIEW, state=State.STARTING), lambda *_: None)
    news.subscribe(lambda view: heard.append((view.state, view.note)))
    news.tell_usual(AT_WORK, state=State.READY)
    news.change(state=State.LOADING, attempt=2)
    news.change(state=State.READY)
    at_work = (State.READY, AT_WORK)
    assert heard == [at_work, (State.LOADING, None), at_work]


def test_an_end_has_no_note() -> None:
    news = ViewPublisher(VIEW, lambda *_: None)
    news.tell_trouble(TIMEOUT)
    news.change(state=State.ENDED, reason="stopped")
    assert news.view.note is None


def test_nobody_is_told_twice_of_the_same_and_plugins_not_of_what_was_so_before() -> None:
    heard: list[SessionView] = []
    events: list[SessionView] = []
    news = ViewPublisher(VIEW, lambda before, after: events.append(after))
    unsubscribe = news.subscribe(heard.append)
    news.change(cost=1.0)
    news.change(cost=1.0)
    news.learn(cost=2.0)
    assert [view.cost for view in heard] == [1.0, 2.0]
    assert [view.cost for view in events] == [1.0]
    unsubscribe()
    unsubscribe()
    news.change(cost=3.0)
    assert len(heard) == 2
