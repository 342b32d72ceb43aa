/// Rows of a recording, as the file has it, in which all channels stand still: what a lost packet, a
/// row written twice or a sample held for several rows leaves.
public struct RowGaps: Hashable, Sendable {
  /// The share of rows that are 0 in all channels, and the first of them, from 0.
  public private(set) var zeroShare = 0.0
  public private(set) var firstZero: Int?
  /// The share of rows that repeat the row before and are not 0, and the first of them.
  public private(set) var repeatedShare = 0.0
  public private(set) var firstRepeated: Int?

  public init(_ signal: SignalBlocks) {
    guard signal.samples > 0 else { return }
    var (zeros, repeated) = (0, 0)
    for row in 0..<signal.samples {
      // Most rows differ from the one before in the first group already.
      let isZero = signal.blocks.allSatisfy { all($0[row] .== 0) }
      if isZero {
        zeros += 1
        firstZero = firstZero ?? row
      } else if row > 0, signal.blocks.allSatisfy({ all($0[row] .== $0[row - 1]) }) {
        repeated += 1
        firstRepeated = firstRepeated ?? row
      }
    }
    zeroShare = Double(zeros) / Double(signal.samples)
    repeatedShare = Double(repeated) / Double(signal.samples)
  }
}
