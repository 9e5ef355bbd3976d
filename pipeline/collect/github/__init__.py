"""The crawler's half that talks to GitHub: what can be asked, how it is asked, and what came back."""
