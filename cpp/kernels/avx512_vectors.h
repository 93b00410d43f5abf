// Operations on one row with AVX-512: see the fields of these names of the kernel table.
#pragma once

namespace llmfw::avx512 {

float Dot(const float* a, const float* b, int n);
void Axpy(float a, const float* x, float* y, int n);
void RmsNorm(const float* x, const float* weight, float eps, float* y, int n);
void GeluMul(const float* gate, const float* up, float* y, int n);
void SoftCap(float* x, float cap, int n);
void Softmax(float* x, int n);
long Int8Dots(long rounds);
long BF16Dots(long rounds);

}  // namespace llmfw::avx512
