"""The commands that prove things, held to what they say of themselves."""
