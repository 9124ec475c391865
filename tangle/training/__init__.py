"""What a training run needs besides its model."""
