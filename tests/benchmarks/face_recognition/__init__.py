"""The face_recognition library (dlib) on the same photographs: what a user would otherwise write in an afternoon."""
