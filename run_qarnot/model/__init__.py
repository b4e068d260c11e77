"""Values checked when they are made: settings, the form's specification, the plan of a run, the view of a session."""
