"""Every method of every service, called by those whom it must tell nothing.

The methods, what they take and who may call them come from the contracts, so that a new method is tried as soon as it
is there; one whose request cannot be made up fails with a sentence that says what to teach.
"""
