/// What the windows of one recording say together.
public struct Prediction: Sendable, Equatable {
  /// Mean of the windows' probabilities.
  public let probabilities: [Float]
  /// Most probable class of the mean.
  public let classIndex: Int
  /// Its mean probability.
  public var confidence: Float { probabilities.isEmpty ? 0 : probabilities[classIndex] }
  /// Class that most windows vote for; ties by summed probability.
  public let majority: Int
  /// How many windows' most probable class is the mean's.
  public let agreeing: Int

  /// - Parameter windows: probabilities of each window, at least one.
  public init(windows: [[Float]]) {
    var tally = PredictionTally(classes: windows.first?.count ?? 0)
    for window in windows { tally.add(window[...]) }
    self = tally.prediction
  }

  fileprivate init(_ tally: PredictionTally) {
    let (sums, votes) = (tally.sums, tally.votes)
    probabilities = sums.map { Float($0 / Double(max(1, tally.windows))) }
    classIndex = Self.mostProbable(probabilities[...])
    majority = votes.indices.max { (votes[$0], sums[$0]) < (votes[$1], sums[$1]) } ?? 0
    agreeing = votes.isEmpty ? 0 : votes[classIndex]
  }

  /// Index of the highest value, counted from the slice's start; the first one on a tie.
  public static func mostProbable(_ values: ArraySlice<Float>) -> Int {
    var best = values.startIndex
    for index in values.indices where values[index] > values[best] { best = index }
    return best - values.startIndex
  }
}

/// What the windows of one recording say, as they come; the windows themselves are not kept.
public struct PredictionTally: Sendable {
  public private(set) var windows = 0
  fileprivate var sums: [Double]
  fileprivate var votes: [Int]

  public init(classes: Int) {
    sums = Array(repeating: 0, count: classes)
    votes = Array(repeating: 0, count: classes)
  }

  /// Counts the probabilities of the next window, one a class.
  public mutating func add(_ window: ArraySlice<Float>) {
    for (index, value) in window.enumerated() { sums[index] += Double(value) }
    votes[Prediction.mostProbable(window)] += 1
    windows += 1
  }

  public var prediction: Prediction { Prediction(self) }
}
