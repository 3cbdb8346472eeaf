# SPDX-License-Identifier: MIT
"""pytest's part in the tests: each runs in a process of its own, of which nothing outlives it.
Those of e2e and transparent run in a network namespace of their own, as root.

`tests/run` names the build; `pytest tests/e2e -k why -n 2`, `--lf` and `--junitxml` do as
everywhere. A test's `timeout` is the seconds that it may take where nothing else runs.
"""

import resource

import pytest
from _pytest.runner import runtestprotocol

from harness import keeper, kernel

FILES = 20000   # the same limit of open files on every machine, where it has that many
USUAL = 30      # seconds
BUSY = 4        # times as long a test may take on a machine that has other things to do
KEEPER = 20     # seconds more, before a test that even its timeout can't end is ended


def seconds_of(item):
    """The seconds that a test may take."""
    of_class = getattr(item.cls, "timeout", USUAL)
    return BUSY * getattr(item.function, "timeout", of_class)


def pytest_collection_modifyitems(items):
    """The longest first, so that none is alone in the end."""
    items.sort(key=lambda item: -seconds_of(item))
    for item in items:
        # In the test's own process (func_only), not in the one that waits for it.
        item.add_marker(pytest.mark.timeout(seconds_of(item), method="signal", func_only=True))


def limit_files(item):
    if "stress" in item.path.parts:   # whose sockets are as many as can be had
        return
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = FILES if hard == resource.RLIM_INFINITY else min(hard, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def leave_network(item):
    """Where that may be had: in its own no port is another test's, not even one that was free a
    moment ago."""
    if not {"e2e", "transparent"} & set(item.path.parts):
        return
    try:
        kernel.namespace()
    except PermissionError:
        pass


def reports_of(item):
    """Run the test: its reports, as JSON can say them."""
    limit_files(item)
    leave_network(item)
    hook = item.config.hook
    return [hook.pytest_report_to_serializable(config=item.config, report=report)
            for report in runtestprotocol(item, log=False)]


def report_from(item, data):
    """A report as the child has made it; JSON has no tuples."""
    if isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])
    return item.config.hook.pytest_report_from_serializable(config=item.config, data=data)


def captured(item):
    """What a test that did not come to its report had printed."""
    capture = item.config.pluginmanager.getplugin("capturemanager")
    return "".join(capture.read_global_capture()) if capture else ""


def failed(item, why):
    """The report of a test that has not made one itself."""
    call = pytest.CallInfo.from_call(lambda: pytest.fail(why, pytrace=False), "call")
    report = item.config.hook.pytest_runtest_makereport(item=item, call=call)
    report.sections.append(("Captured output", captured(item)))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item):
    hook = item.ihook
    hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    try:
        said = keeper.keep(lambda: reports_of(item), seconds_of(item) + KEEPER)
        reports = [report_from(item, data) for data in said]
    except (keeper.Hung, keeper.Died) as why:
        reports = [failed(item, str(why))]
    for report in reports:
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config):
    """The last line counts: what tests/check adds up."""
    terminal = config.pluginmanager.getplugin("terminalreporter")
    if terminal and not hasattr(config, "workerinput") and not config.option.collectonly:
        stats = terminal.stats
        print("%d passed, %d failed, %d skipped"
              % (len(stats.get("passed", ())),
                 len(stats.get("failed", ())) + len(stats.get("error", ())),
                 len(stats.get("skipped", ()))), flush=True)
