"""How memories come to be and change: what the groups that write share."""
