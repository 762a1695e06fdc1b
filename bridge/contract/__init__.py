"""The event contract as documents: schemas, the reference, examples, and a body of each callback."""
