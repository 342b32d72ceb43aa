/// Where a recording stops being what a model was trained on.
///
/// Measured on 525 real recordings of five people (512 Hz, 5 s, three sessions, five gestures), each
/// person held out in turn, and with room beyond what was found there: none of them is refused, and
/// none is warned of.
enum RecordingLimits {
  /// A channel's deviation over the usual one, or its inverse: refused beyond. Found: 0.16 to 4.8.
  /// Units differ by a thousand or more.
  static let deviation = 30.0
  /// How far a recording's level may lie outside that of the training's recordings: warned of beyond.
  /// Found: 1.1.
  static let level = 1.5
  /// A training knows levels from half to twice the usual one, however alike its recordings are.
  static let knownLevel = 2.0
  /// The same for roughness. Found: 1.05; half or twice the sampling rate changes it by 1.4 to 1.9.
  static let roughness = 1.1
  /// A training knows roughness 15 % around the usual one, however alike its recordings are.
  static let knownRoughness = 1.15
  /// How much less alike the channels' correlation may be than in the training's recordings. Found:
  /// 0.31 where those had 0.42; columns in a random order have less than 0.24 nine times of ten.
  static let likeness = 0.15
  /// The correlation tells channels apart where it is known from as many recordings, and theirs are
  /// as alike in the middle. Found: 0.8; for noise without correlation 0.2.
  static let correlatedRecordings = 20
  static let usualLikeness = 0.6
  /// A share of steps that change nothing from which on a channel is dead. Found: 0.001; bursts of a
  /// radio link reach 0.9.
  static let unchanged = 0.98
  /// A share of steps in one direction from which on a channel is a time or a counter. Found: 0.57; a
  /// counter that begins anew every eight samples has 0.87.
  static let rising = 0.85
  /// A share of samples at the channel's limits that is warned of. Found: 0.
  static let clipped = 0.02
  /// A share of samples at the limits beyond which a recording gets no confident answer.
  static let unanswerable = 0.25
  /// A share of rows of zeros among others, and of rows that repeat the one before, that is warned of.
  /// Found: none.
  static let (lostRows, repeatedRows) = (0.002, 0.01)
  /// How far a channel may be, in units of its usual deviation and of its recording's level, beyond
  /// those of the training's recordings, and what each training knows, however alike its recordings
  /// are. Found: 0.5 to 2.6 in all, at most 1.32 beyond the others.
  static let (balance, knownBalance) = (1.25, 3.0)
  /// The same among the recordings of one set, whose level is compared too. Found: 2.6, and 0.25 to 3.1.
  static let (balanceInSet, levelInSet) = (6.0, 8.0)
  /// How far the middle level of a session of one person may be from that of all recordings. Found:
  /// 0.62 to 1.64.
  static let levelOfSession = 4.0
  /// Recordings of a session from which on its level is compared.
  static let recordingsOfSession = 3
  /// A sample's distance over the usual one from which on it is an outlier. Found: 34, and 81 in
  /// recordings that rest half of their time; beyond 1,000 one sample doubles its recording's
  /// deviation.
  static let outlier = 300.0
  /// How far a column of times may be from the sampling rate, relative to it.
  static let rate = 0.05
}
