import Foundation

extension Philox {
  /// The standard normal of an element by Box–Muller: four elements to a block, the words' upper
  /// 24 bits as uniforms; words 0 and 1 give elements 0 (cosine) and 1 (sine), words 2 and 3
  /// elements 2 and 3. u₁ = (bits + 1)/2²⁴ lies in (0, 1], u₂ = bits/2²⁴ in [0, 1).
  public static func normal(
    element: Int, stream: UInt32, step: UInt64, key: SIMD2<UInt32>
  ) -> Double {
    let block = bits(
      counter: counter(block: UInt32(element / 4), stream: stream, step: step), key: key)
    let pair = (element % 4) / 2 * 2
    let u1 = Double((block[pair] >> 8) + 1) / 16_777_216
    let u2 = Double(block[pair + 1] >> 8) / 16_777_216
    let radius = (-2 * log(u1)).squareRoot()
    return element % 2 == 0 ? radius * cos(2 * .pi * u2) : radius * sin(2 * .pi * u2)
  }
}

/// Streams of the generator, so that no two uses ever draw the same bits. Layers number theirs from
/// `firstLayer` up, in the order of the network.
public enum RandomStream {
  /// The noise of the masked view: counted by (element, window, epoch).
  public static let augmentationNoise: UInt32 = 1
  /// Host draws of an epoch: order, partners, λ, masked channels.
  public static let epochOrder: UInt32 = 2
  /// Initial weights, one stream a tensor above `initialWeights`.
  public static let initialWeights: UInt32 = 0x4000_0000
  public static let firstLayer: UInt32 = 0x100
}
