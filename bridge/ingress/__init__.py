"""First step of a callback's way: is it authentic, and what is the platform told?"""
