import org.jetbrains.kotlin.gradle.dsl.JvmTarget

plugins {
    id("com.android.application")
    id("org.jetbrains.kotlin.android")
}

android {
    namespace = "dev.sensemble.sample"
    compileSdk = 36
    defaultConfig {
        applicationId = "dev.sensemble.sample"
        minSdk = 26
        targetSdk = 36
        versionCode = 1
        versionName = "0.1"
        ndk { abiFilters += listOf("arm64-v8a", "x86_64") }
    }
    compileOptions {
        sourceCompatibility = JavaVersion.VERSION_17
        targetCompatibility = JavaVersion.VERSION_17
    }
    androidResources { noCompress += "pte" }
}

// Whichever JDK runs Gradle, Android Studio's own being of another version, compiles for 17.
kotlin { compilerOptions { jvmTarget = JvmTarget.JVM_17 } }

dependencies {
    val camerax = "1.5.0"
    implementation("androidx.activity:activity-ktx:1.11.0")
    implementation("androidx.camera:camera-camera2:$camerax")
    implementation("androidx.camera:camera-lifecycle:$camerax")
    implementation("androidx.camera:camera-view:$camerax")
    implementation("androidx.core:core-ktx:1.17.0")
    // The version that wrote the bundle (export/pyproject.toml): programs are read by it and later ones.
    implementation("org.pytorch:executorch-android:1.5.1")
}
