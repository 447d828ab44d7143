"""How well each person of a video is judged on their own: false alarms, and films in which one person is swapped."""
