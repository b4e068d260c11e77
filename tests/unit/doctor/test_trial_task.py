"""What the doctor's scripts say."""

from __future__ import annotations

from run_qarnot.doctor.trial_task import said_in


def test_lines_of_the_script_are_found_among_others_and_behind_the_number_of_the_machine() -> None:
    output = "Local cluster: no container\n0> doctor-folder=/job\ndoctor-word=a=b\nnot doctor-word=c\ndoctor-added=\n"
    assert said_in(output) == {"folder": "/job", "word": "a=b", "added": ""}
