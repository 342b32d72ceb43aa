import Foundation

extension AdamSettings {
  /// `rate·√(1 − β₂ᵗ)/(1 − β₁ᵗ)`, with Keras's rounding of β.
  ///
  /// - Parameter iteration: t, from 1.
  public func stepSize(learningRate: Double, iteration: Int) -> Double {
    let power1 = pow(Double(beta1), Double(iteration))
    let power2 = pow(Double(beta2), Double(iteration))
    return learningRate * (1 - power2).squareRoot() / (1 - power1)
  }
}
