"""The full stack in containers, hurt under load: `make compose-test`. Not part of `make test`."""
