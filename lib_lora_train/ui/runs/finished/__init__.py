"""What happens when the queue is finished: notification, sound, command, sleep or shutdown; TensorBoard."""
