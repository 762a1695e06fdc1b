"""What README and docs/ say is tried: commands are run, code is checked, translations are kept in step."""
