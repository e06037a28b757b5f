"""From other tools' files to those that SOPS encrypts."""
