/// A recording that was found below a data directory, with what its path says about it.
public struct RecordingDescriptor: Hashable, Sendable {
  /// The path relative to the data directory, components joined by `/`. Names the recording in
  /// splits, and orders recordings (byte-wise).
  public let path: String
  /// The path to open: the data directory as it was given, then `path`.
  public let file: String
  /// From a whole component such as `Session1`; nil where no component says it.
  public let session: Int?
  /// From the file's name, else the nearest directory above it.
  public let gesture: Int
  /// From the file's name, else the nearest directory above it; nil where none says it.
  public let subject: Int?

  public init(path: String, file: String, session: Int?, gesture: Int, subject: Int?) {
    self.path = path
    self.file = file
    self.session = session
    self.gesture = gesture
    self.subject = subject
  }
}
