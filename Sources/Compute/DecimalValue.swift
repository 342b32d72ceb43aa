extension Float {
  /// The double nearest to the shortest decimal that names this `Float`: `Float(0.999).decimalValue`
  /// is the double 0.999, not 0.99900001287. For constants that people write (rates, momenta,
  /// Adam's β): 1 − 0.999 in single precision is off by 1.3·10⁻⁵, which Keras, computing it in
  /// double, is not.
  public var decimalValue: Double { Double(description) ?? Double(self) }
}
