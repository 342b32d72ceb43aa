/// The version of semg-train, as `--version` prints it and as files name who wrote them.
public enum ProgramVersion {
  public static let number = "0.1.0"
  /// `semg-train 0.1.0`
  public static let text = "semg-train \(number)"
}
