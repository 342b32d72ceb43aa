/// What each channel of a filtered recording does around its strongest sample: enough to know the
/// recording again after it was rounded, scaled, cut or written anew, and too much for two recordings
/// to have in common by chance.
///
/// On 525 real recordings the best channel of any pair differs by 3 steps of 31 somewhere among its 24
/// samples, the second best by 5, the fourth by 6.
public struct SignalMark: Hashable, Sendable {
  /// Samples of a channel that are kept, and how many of them lie before the strongest.
  static let (length, lead) = (24, 8)
  /// What the strongest sample becomes.
  private static let steps = 31.0
  /// Stands for a channel that is silent.
  private static let silent = Int8.min
  /// Channels beyond these are left out.
  private static let mostChannels = 16

  /// `[channels][length]`, from −31 to 31, the strongest sample being 31.
  private let values: [Int8]
  public var channels: Int { values.count / Self.length }

  private init(values: [Int8]) { self.values = values }

  public init(_ signal: SignalBlocks) {
    var values: [Int8] = []
    for group in 0..<signal.groups {
      let part = signal.blocks[group]
      var best = SignalBlocks.Block.zero
      var places = SIMD8<Int64>(repeating: 0)
      for (index, block) in part.enumerated() {
        let magnitude = block.replacing(with: -block, where: block .< 0)
        let isHigher = magnitude .> best
        best.replace(with: magnitude, where: isHigher)
        places.replace(with: Int64(index), where: isHigher)
      }
      for channel in 8 * group..<min(8 * group + 8, signal.channels, Self.mostChannels) {
        let lane = channel - 8 * group
        values += Self.surroundings(of: Int(places[lane]), lane: lane, in: part)
      }
    }
    self.values = values
  }

  private static func surroundings(
    of place: Int, lane: Int, in part: [SignalBlocks.Block]
  ) -> [Int8] {
    let peak = part.isEmpty ? 0 : part[place][lane]
    guard abs(peak) > 1e-30, peak.isFinite else { return [Int8](repeating: silent, count: length) }
    return (place - lead..<place - lead + length).map { index in
      guard part.indices.contains(index) else { return 0 }
      return Int8((part[index][lane] / peak * steps).rounded())
    }
  }

  /// Whether a quarter of the channels, two or more, are the same but for rounding: both are of one
  /// recording. A cut takes the strongest sample of a channel away, or changes the filters' settling
  /// around it, but hardly of all.
  public func isNearly(_ other: SignalMark) -> Bool {
    guard values.count == other.values.count, values != [] else { return false }
    return values.withUnsafeBufferPointer { own in
      other.values.withUnsafeBufferPointer { others in Self.isNearly(own, others) }
    }
  }

  private static func isNearly(
    _ own: UnsafeBufferPointer<Int8>, _ others: UnsafeBufferPointer<Int8>
  ) -> Bool {
    var (alive, matching) = (0, 0)
    for start in stride(from: 0, to: own.count, by: length) {
      guard own[start] != silent || others[start] != silent else { continue }
      alive += 1
      guard own[start] != silent, others[start] != silent else { continue }
      var sample = start
      // Two steps either way; a single one where few channels have to tell.
      let tolerance = own.count < 4 * length ? 1 : 2
      while sample < start + length, abs(Int(own[sample]) - Int(others[sample])) <= tolerance {
        sample += 1
      }
      if sample == start + length { matching += 1 }
    }
    return matching >= (alive < 4 ? max(1, (alive + 1) / 2) : max(2, alive / 4))
  }

  /// With the channels in another order: channel c of the result is `order[c]` of this.
  public func reordered(_ order: [Int]) -> SignalMark {
    guard order.count == channels else { return self }
    return SignalMark(
      values: order.flatMap { values[$0 * Self.length..<($0 + 1) * Self.length] })
  }

  // MARK: As text

  /// 64 signs that need no quoting anywhere.
  private static let alphabet = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  /// A sign per value, as a file keeps it; `_` for each of a silent channel.
  public var text: String {
    String(
      decoding: values.map { $0 == Self.silent ? Self.alphabet[63] : Self.alphabet[Int($0) + 31] },
      as: UTF8.self)
  }

  /// What ``text`` wrote; nil for anything else.
  public init?(text: String) {
    var values: [Int8] = []
    for byte in text.utf8 {
      guard let place = Self.alphabet.firstIndex(of: byte) else { return nil }
      values.append(place == 63 ? Self.silent : Int8(place - 31))
    }
    guard values.count % Self.length == 0, !values.isEmpty else { return nil }
    self.values = values
  }
}
