import ComputeCases
import Foundation
import TestSupport
import Testing

/// A digest stands for its tensor: every wrong element shows, in proportion to its error.
@Suite struct TensorDigestTests {
  private let tensor = SeededValues.uniform(name: "tensor", count: 1_000).map(Double.init)

  /// As `digest` of keras_digest.py makes it.
  private func digest(_ values: [Double]) throws -> TensorDigest {
    let projections = (0..<16).map { index in
      let seed = SeededValues.seed("projection \(index)")
      return values.indices.reduce(0.0) {
        $0 + (SeededValues.isNegative(seed: seed, index: $1) ? -values[$1] : values[$1])
      }
    }
    let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
    let document = """
      {"count": \(values.count), "norm": \(norm), "projections": \(projections),
       "elements": [[7, \(values[7])]]}
      """
    return try JSONDecoder().decode(TensorDigest.self, from: Data(document.utf8))
  }

  @Test func theTensorItselfHasNoError() throws {
    #expect(try digest(tensor).error(of: tensor) < 1e-12)
    #expect(try digest(tensor).error(of: Array(tensor.dropLast())).isNaN)
  }

  @Test(arguments: [0, 234, 999])
  func oneWrongElementShowsWithItsSize(place: Int) throws {
    var wrong = tensor
    wrong[place] += 1e-3
    let error = try digest(tensor).error(of: wrong)
    #expect(abs(error - 1e-3) < 1e-9)
    wrong[place] = .nan
    #expect(try digest(tensor).error(of: wrong).isNaN)
  }

  @Test func errorsEverywhereAreEstimatedToWithinAThird() throws {
    let noise = SeededValues.uniform(name: "noise", count: tensor.count)
    let wrong = zip(tensor, noise).map { $0 + 1e-3 * Double($1) }
    let norm = noise.reduce(0) { $0 + 1e-6 * Double($1 * $1) }.squareRoot()
    let error = try digest(tensor).error(of: wrong)
    #expect(error > norm * 2 / 3 && error < norm * 4 / 3)
  }
}
