import Foundation

/// The few complex operations that designing a filter needs.
struct Complex {
  var real: Double
  var imaginary: Double

  init(_ real: Double, _ imaginary: Double) {
    self.real = real
    self.imaginary = imaginary
  }

  var squaredMagnitude: Double { real * real + imaginary * imaginary }
  var magnitude: Double { hypot(real, imaginary) }

  /// The principal root, by the half-angle formula that does not cancel.
  var squareRoot: Complex {
    let larger = ((magnitude + abs(real)) / 2).squareRoot()
    guard larger > 0 else { return Complex(0, 0) }
    let smaller = abs(imaginary) / (2 * larger)
    let root = real >= 0 ? Complex(larger, smaller) : Complex(smaller, larger)
    return imaginary < 0 ? Complex(root.real, -root.imaginary) : root
  }

  func scaled(by factor: Double) -> Complex { Complex(real * factor, imaginary * factor) }

  static func + (a: Complex, b: Complex) -> Complex {
    Complex(a.real + b.real, a.imaginary + b.imaginary)
  }

  static func - (a: Complex, b: Complex) -> Complex {
    Complex(a.real - b.real, a.imaginary - b.imaginary)
  }

  static func * (a: Complex, b: Complex) -> Complex {
    Complex(
      a.real * b.real - a.imaginary * b.imaginary, a.real * b.imaginary + a.imaginary * b.real)
  }

  static func / (a: Complex, b: Complex) -> Complex {
    (a * Complex(b.real, -b.imaginary)).scaled(by: 1 / b.squaredMagnitude)
  }
}
