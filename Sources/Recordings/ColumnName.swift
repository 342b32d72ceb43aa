/// What the name of a column in a header says.
public enum ColumnName {
  /// Words that no channel's name contains: of times, counters and labels.
  private static let certain: Set<String> = [
    "time", "timestamp", "timestamps", "stamp", "datetime", "unnamed", "counter", "label", "labels",
    "stimulus", "restimulus", "repetition", "rerepetition",
  ]
  /// Words that name a time, a counter or a label unless a word beside them is of a channel, as in
  /// `index_finger` or `emg_sample`.
  private static let likely: Set<String> = [
    "index", "idx", "sample", "samples", "class", "classes", "row", "frame", "date", "gesture",
    "trial", "session", "subject", "marker", "trigger", "event",
  ]
  private static let ofChannels: Set<String> = [
    "emg", "semg", "ch", "chan", "channel", "electrode", "sensor", "lead", "muscle", "finger",
    "flexor", "extensor", "digitorum", "carpi", "pollicis", "uv", "mv",
  ]
  private static let ofRates: Set<String> = ["fs", "srate", "sfreq", "samplerate", "samplingrate"]
  private static let ofTimes: Set<String> = ["time", "timestamp", "timestamps", "stamp"]

  /// Whether `name` is of a time, a counter, an index or a label, and not of a channel. A column
  /// without a name in a header is the index that pandas writes.
  public static func isIndex(_ name: String) -> Bool {
    let words = words(of: name)
    if words.isEmpty { return name.allSatisfy { $0.isWhitespace || $0 == "\"" } }
    if !certain.isDisjoint(with: words) { return true }
    return !likely.isDisjoint(with: words) && ofChannels.isDisjoint(with: words)
  }

  /// Whether `name` is of a column of times.
  public static func isTime(_ name: String) -> Bool {
    !ofTimes.isDisjoint(with: words(of: name))
  }

  /// Whether `name` is of a column that repeats the sampling rate, as `fs` or `Sampling Rate (Hz)`.
  public static func isRate(_ name: String) -> Bool {
    let words = words(of: name)
    return !ofRates.isDisjoint(with: words)
      || words.contains("rate") && !words.isDisjoint(with: ["sample", "sampling"])
  }

  /// The name as names are compared: without quotation marks and the case of letters.
  public static func compared(_ name: String) -> String {
    String(name.lowercased().filter { $0 != "\"" && !$0.isWhitespace })
  }

  /// The name as it is compared, without a unit in brackets behind it: `ch1` of `ch1 [mV]`.
  public static func withoutUnit(_ name: String) -> String {
    let name = compared(name)
    guard let last = name.last, ")]".contains(last),
      let bracket = name.lastIndex(where: { "([".contains($0) }), bracket > name.startIndex
    else { return name }
    return String(name[..<bracket])
  }

  /// Whether the names are no more than the columns' numbers.
  public static func areNumbers(_ names: [String]) -> Bool {
    names.allSatisfy { Int(compared($0)) != nil }
  }

  /// The words of `name` in lower case: runs of letters, cut where a small letter meets a capital.
  private static func words(of name: String) -> Set<String> {
    var words: Set<String> = []
    var word = ""
    var wasSmall = false
    for character in name {
      if !character.isLetter || wasSmall && character.isUppercase {
        words.insert(word.lowercased())
        word = ""
      }
      if character.isLetter { word.append(character) }
      wasSmall = character.isLowercase
    }
    words.insert(word.lowercased())
    words.remove("")
    return words
  }
}
