//! Playbooks that do things in the wrong order are refused, and a caught refusal changes nothing.
