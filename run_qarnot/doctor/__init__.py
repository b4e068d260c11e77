"""`run-qarnot doctor`: tries on an account what the product relies on, and says what differs.

Each question has a number, what is expected, what was seen, and what the product does where that differs. `account`,
`network` and `storage` cost nothing; `spend` starts small tasks. `examination` asks all, and removes what was made.
"""
