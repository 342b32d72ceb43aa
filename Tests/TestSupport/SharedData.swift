import Foundation

/// The folder beside the checkout that holds real recordings (`data/`) and what other programs
/// computed (`fixtures/`). Users need not have it: tests that use it are skipped where it is absent.
public enum SharedData {
  /// `SEMG_SHARED` if set, else `../shared` seen from the package's root.
  public static let root: URL = {
    if let path = ProcessInfo.processInfo.environment["SEMG_SHARED"] {
      return URL(filePath: path, directoryHint: .isDirectory)
    }
    return packageRoot.deletingLastPathComponent().appending(path: "shared")
  }()

  /// The root of this package, found from this file's own place.
  public static let packageRoot = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

  /// The five real subjects: `Session1/session1_subject_3/gesture00_trial01.csv` and so on.
  public static let synapse = root.appending(path: "data/synapse")
  public static let fixtures = root.appending(path: "fixtures")

  /// Files that went wrong for others, and what is right (`cases/README.md`).
  public static let cases = root.appending(path: "cases")
  public static var hasCases: Bool { FileManager.default.fileExists(atPath: cases.path) }

  public static var isPresent: Bool { FileManager.default.fileExists(atPath: fixtures.path) }
}
