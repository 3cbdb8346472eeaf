# SPDX-License-Identifier: MIT
"""Tests that are about the library in the program's own memory, and so say nothing of a program
that the supervisor follows (TESTS_SUPERVISED=1): module.Class.test without the first test_, and
why."""

NAMES = "libc's fclose is a close, and its closefrom a close_range, to who sees system calls"
SEES = "the supervisor has the rights that tcpshim was started with, and its numbers of processes"
LIMITS = "the program's limits are not the supervisor's, who writes the log"
STAYS = "the supervisor needs not step aside: it makes no call in the program"
OWN = "the library's own descriptors: in a followed program there are none"
BEGINS = "an interrupted call is told when the handler begins: it may jump away, or fork"
STACKS = "no stacks from outside"
QUICKER = "a peer is often quicker than a followed program: what nothing has proven yet is left out"

OTHERWISE = {
    "copies.Closes.test_closefrom": NAMES,
    "copies.Closes.test_fclose_of_the_last": NAMES,
    "copies.Closes.test_names": NAMES,
    "notes.DoubleClose.test_each_way_to_close": NAMES,
    "notes.Listener.test_a_group_of_another_user": SEES,
    "notes.Bound.test_whose_owner_may_not_be_seen": SEES,
    "notes.StillOpen.test_a_child": SEES,
    "notes.StillOpen.test_a_copy_that_nobody_saw": SEES,
    "notes.StillOpen.test_a_call_of_another_thread": SEES,
    "notes.StillOpen.test_the_parent": SEES,
    "failures.WithoutProc.test_a_listener_of_our_own": SEES,
    "repeats.Recorder.test_what_could_not_be_recorded": LIMITS,
    "recorder.Harm.test_its_descriptor_is_invisible": OWN,
    "recorder.Harm.test_a_limit_of_file_size_that_comes_later": LIMITS,
    "recorder.Harm.test_replaced_behind_our_back": OWN,
    "processes.Fork.test_a_call_that_ends_in_two_processes": BEGINS,
    "processes.Jumps.test_cancelled_and_jumped_out_of": BEGINS,
    "processes.Sandbox.test_one_last_event": STAYS,
    "processes.Threads.test_states_under_load": QUICKER,
    "reports.Figures.test_each_finding": STACKS,
}
