"""What both programs have in common about metrics: how they are declared, and what every process shows."""
