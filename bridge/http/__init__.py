"""The HTTP side: accepts connections, and answers the requests on them as the ingress says."""
