"""`make examples`: each subscriber of examples/ against a real topic, as far as its toolchain is here."""
