"""From receivers.yaml and its secrets to channels that can send; trials and dry runs of them."""
