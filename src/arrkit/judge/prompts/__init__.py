"""What judges are told: pure functions from requests to words and images, in English and Chinese."""
