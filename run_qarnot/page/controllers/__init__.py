"""What the page does: the account, the form and the sessions, a controller each."""
