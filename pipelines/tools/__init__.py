"""What people do beside the loop: predict, review, explain, measure, look at the quarantine and at the machine."""
