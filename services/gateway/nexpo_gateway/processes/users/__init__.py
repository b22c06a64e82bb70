"""Users: onboarded, changed, deleted and repaired, everywhere or nowhere."""
