"""The servers that the bridge is compared with: written as a good engineer writes them in an afternoon."""
