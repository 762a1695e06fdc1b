"""The platform's REST API: credentials of an app, the signature of a call, the call itself."""
