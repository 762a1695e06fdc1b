"""What README and docs/ say is tried: their commands are run, their code is checked, their translations kept in step."""
